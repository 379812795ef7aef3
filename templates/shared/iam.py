"""Roles, the statements they are made of, and every ARN that is not an attribute of a resource of the same stack."""

from awacs import ec2, kinesis, logs, s3, sts, xray
from awacs.aws import (
    Action,
    Allow,
    ArnEquals,
    ArnLike,
    Condition,
    Deny,
    PolicyDocument,
    Principal,
    Statement,
    StringEquals,
    StringLike,
)
from awacs.aws import Bool as BoolCondition
from troposphere import AccountId, Sub
from troposphere.iam import Policy, Role

ANY = "*"
"""Only where AWS knows no narrower resource; each use says why and is listed in tests/templates/exemptions.py."""


def arn(service: str, resource: str, **values: object) -> Sub:
    """ARN in this account and region; `${Name}` in `resource` is filled from `values`."""
    return Sub(f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{resource}", **values)


def bucket_arn(bucket: object) -> Sub:
    """ARN of a bucket by name."""
    return Sub("arn:${AWS::Partition}:s3:::${Bucket}", Bucket=bucket)


def objects_arn(bucket: object, keys: str) -> Sub:
    """ARN pattern of objects: `keys` is a key with `*` where anything may stand."""
    return Sub(f"arn:${{AWS::Partition}}:s3:::${{Bucket}}/{keys}", Bucket=bucket)


def table_arn(table: object) -> Sub:
    """ARN of a DynamoDB table by name."""
    return arn("dynamodb", "table/${Table}", Table=table)


def trail_arn(trail: str) -> Sub:
    """ARN of a CloudTrail trail by name: literal, since policies that the trail waits for cannot refer to it."""
    return arn("cloudtrail", f"trail/{trail}")


def allow(resource: object, *actions: Action, condition: Condition | None = None) -> Statement:
    """Allow the actions on one resource."""
    statement = Statement(Effect=Allow, Action=list(actions), Resource=[resource])
    if condition is not None:
        statement.properties["Condition"] = condition
    return statement


def use_key(key_arn: object, service: str, *actions: Action) -> Statement:
    """Use the customer-managed key, but only when `service` asks for it on the role's behalf."""
    via = StringEquals("kms:ViaService", Sub(f"{service}.${{AWS::Region}}.${{AWS::URLSuffix}}"))
    return allow(key_arn, *actions, condition=Condition(via))


def read_stream(stream_arn: object) -> Statement:
    """What a Lambda event source asks of its stream."""
    return allow(
        stream_arn,
        kinesis.DescribeStream,
        kinesis.DescribeStreamSummary,
        kinesis.GetRecords,
        kinesis.GetShardIterator,
        kinesis.ListShards,
    )


def list_keys(bucket: object, *prefixes: str) -> Statement:
    """List a bucket below the given prefixes only."""
    return allow(
        bucket_arn(bucket), s3.ListBucket, condition=Condition(StringLike("s3:prefix", [f"{p}*" for p in prefixes]))
    )


def look_for_keys(bucket: object) -> Statement:
    """Be told `NoSuchKey` for an object that is not there, where S3 otherwise answers `AccessDenied`.

    Limited to prefixes it would not work: a request for an object carries no `s3:prefix`.
    """
    return allow(bucket_arn(bucket), s3.ListBucket)


def write_logs(log_group_arn: object) -> Statement:
    """Write to a log group that exists. A function that may create its group would bring a deleted one back."""
    return allow(log_group_arn, logs.CreateLogStream, logs.PutLogEvents)


def work_in_network(function: str) -> list[Statement]:
    """Let Lambda make and give back the network interfaces of the function of this name, and not the function itself
    (https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html).
    """
    look = (ec2.DescribeNetworkInterfaces, ec2.DescribeSubnets)
    assign = (ec2.AssignPrivateIpAddresses, ec2.UnassignPrivateIpAddresses)
    own_code = Condition(ArnEquals("lambda:SourceFunctionArn", arn("lambda", f"function:{function}")))
    return [
        allow(ANY, *look),  # EC2 describes all or nothing
        allow(arn("ec2", "network-interface/*"), ec2.CreateNetworkInterface, *assign),
        # Lambda asks whether it may delete before there is an interface to name; `network-interface/*` does not match
        allow(arn("ec2", "*/*"), ec2.DeleteNetworkInterface),
        allow(arn("ec2", "subnet/*"), ec2.CreateNetworkInterface),
        allow(arn("ec2", "security-group/*"), ec2.CreateNetworkInterface),
        Statement(
            Effect=Deny,
            Action=[ec2.CreateNetworkInterface, ec2.DeleteNetworkInterface, *assign, *look],
            Resource=[ANY],
            Condition=own_code,
        ),
    ]


def trace() -> Statement:
    """Send X-Ray segments."""
    return allow(ANY, xray.PutTelemetryRecords, xray.PutTraceSegments)  # X-Ray has no resource for segments


def role(title: str, service: str, statements: list[Statement], condition: Condition | None = None) -> Role:
    """A role for one AWS service, its policy inline so that nothing can use the role before the policy is there."""
    trust = Statement(Effect=Allow, Principal=Principal("Service", service), Action=[sts.AssumeRole])
    if condition is not None:
        trust.properties["Condition"] = condition
    return Role(
        title,
        AssumeRolePolicyDocument=policy(trust),
        Policies=[Policy(PolicyName="work", PolicyDocument=policy(*statements))],
    )


def policy(*statements: Statement) -> PolicyDocument:
    """A policy document."""
    return PolicyDocument(Version="2012-10-17", Statement=list(statements))


def from_here(*source_arns: object) -> Condition:
    """The service acts for this account, and for these resources (patterns allowed) of it."""
    return Condition([StringEquals("aws:SourceAccount", AccountId), ArnLike("aws:SourceArn", list(source_arns))])


def attached_thing() -> Condition:
    """In an IoT policy: the certificate belongs to the thing that the client id names."""
    return Condition(BoolCondition("iot:Connection.Thing.IsAttached", "true"))


def refuse_plain_http(bucket: object) -> Statement:
    """Deny everything that does not come over TLS."""
    return Statement(
        Effect=Deny,
        Principal=Principal("*"),
        Action=[Action("s3", "*")],
        Resource=[bucket_arn(bucket), objects_arn(bucket, "*")],
        Condition=Condition(BoolCondition("aws:SecureTransport", "false")),
    )
