"""References of a template resolved: names and ARNs as an account would hold them."""

import re
from typing import Any

ACCOUNT = "123456789012"
KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
RANDOM = "1A2B3C"
"""What CloudFormation appends to the names that it makes up."""

ARNS = {
    "AWS::CloudWatch::Alarm": "cloudwatch:{region}:{account}:alarm:{name}",
    "AWS::CloudWatch::CompositeAlarm": "cloudwatch:{region}:{account}:alarm:{name}",
    "AWS::DynamoDB::Table": "dynamodb:{region}:{account}:table/{name}",
    "AWS::EC2::SecurityGroup": "ec2:{region}:{account}:security-group/{name}",
    "AWS::IAM::Role": "iam::{account}:role/{name}",
    "AWS::KMS::Key": f"kms:{{region}}:{{account}}:key/{KEY_ID}",
    "AWS::Kinesis::Stream": "kinesis:{region}:{account}:stream/{name}",
    "AWS::Lambda::Function": "lambda:{region}:{account}:function:{name}",
    "AWS::Logs::LogGroup": "logs:{region}:{account}:log-group:{name}:*",
    "AWS::S3::Bucket": "s3:::{name}",
    "AWS::SNS::Topic": "sns:{region}:{account}:{name}",
    "AWS::SQS::Queue": "sqs:{region}:{account}:{name}",
    "AWS::Scheduler::ScheduleGroup": "scheduler:{region}:{account}:schedule-group/{name}",
    "AWS::SecretsManager::Secret": "secretsmanager:{region}:{account}:secret:{name}-a1b2c3",
    "AWS::StepFunctions::StateMachine": "states:{region}:{account}:stateMachine:{name}",
}
"""By type: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html"""

REFERENCE_IS_ARN = ("AWS::SNS::Topic", "AWS::SecretsManager::Secret", "AWS::StepFunctions::StateMachine")
VARIABLE = re.compile(r"\$\{(!?)([\w:.]+)\}")


class Account:
    """The account that a template without parameters would be deployed to."""

    def __init__(self, resources: dict[str, dict[str, Any]], region: str) -> None:
        self._resources = resources
        self._pseudo = {
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::Region": region,
            "AWS::URLSuffix": "amazonaws.com",
        }

    def resources(self) -> dict[str, dict[str, Any]]:
        """Every resource by logical id, resolved."""
        return {title: self._resolve(resource) for title, resource in self._resources.items()}

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._resolve(item) for item in value]
        if not isinstance(value, dict):
            return value
        match value:
            case {"Ref": name}:
                return self._reference(name)
            case {"Fn::GetAtt": [title, attribute]}:
                return self._attribute(title, attribute)
            case {"Fn::Sub": str(text)}:
                return self._substitute(text, {})
            case {"Fn::Sub": [text, values]}:
                return self._substitute(text, self._resolve(values))
            case {"Fn::Join": [between, parts]}:
                return between.join(self._resolve(parts))
            case {"Fn::Split": [between, text]}:
                return self._resolve(text).split(between)
        return {key: self._resolve(item) for key, item in value.items()}

    def _reference(self, name: str) -> str:
        if name in self._pseudo:
            return self._pseudo[name]
        kind = self._resources[name]["Type"]
        if kind in REFERENCE_IS_ARN:
            return self._arn(name)
        return KEY_ID if kind == "AWS::KMS::Key" else self._name(name)

    def _attribute(self, title: str, attribute: str) -> str:
        if attribute == "Arn" or (attribute == "Id" and self._resources[title]["Type"] in REFERENCE_IS_ARN):
            return self._arn(title)
        return self._name(title) if attribute.endswith("Name") else f"{title}-{attribute}-{RANDOM}"

    def _name(self, title: str) -> str:
        """The resource's own name, or one that CloudFormation would make up."""
        resource = self._resources[title]
        properties = resource.get("Properties", {})
        for property_name in (f"{resource['Type'].rsplit('::', 1)[1]}Name", "Name"):
            if property_name in properties:
                return str(self._resolve(properties[property_name]))
        return f"stack-{title}-{RANDOM}"

    def _arn(self, title: str) -> str:
        kind = self._resources[title]["Type"]
        if kind not in ARNS:
            raise ValueError(f"{title} is a {kind}, whose ARN is unknown here. Add its form to {__name__}.ARNS.")
        values = {"region": self._pseudo["AWS::Region"], "account": ACCOUNT, "name": self._name(title)}
        return f"arn:aws:{ARNS[kind].format(**values)}"

    def _substitute(self, text: str, values: dict[str, object]) -> str:
        def fill(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            if name in values:
                return str(values[name])
            return self._attribute(*name.split(".", 1)) if "." in name else self._reference(name)

        return VARIABLE.sub(fill, text)
