"""What the checks find and we keep, where no template could say it; each with its reason. One that is not found fails.

A resource's own exceptions from checkov's and AWS's rules stand in its metadata (templates/shared/suppressions.py).
"""

CFN_LINT = {
    "W3002": "code and nested templates are local paths: `aws cloudformation package` replaces them",
}
"""By rule."""

PARLIAMENT = {
    (
        "*Endpoint",
        "RESOURCE_STAR",
        "*",
    ): "its condition says whose resources; which of them, the roles say",
    (
        "*Role",
        "UNKNOWN_CONDITION_FOR_ACTION",
        "Unknown condition lambda:SourceFunctionArn for action ec2:*",
    ): "Lambda gives it with every call of a function's code"
    " (https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html)",
    (
        "*Role",
        "RESOURCE_MISMATCH",
        "ec2:DeleteNetworkInterface needs arn:*:ec2:*:*:network-interface/*",
    ): "Lambda asks for it before there is an interface to name"
    " (https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions)",
    **{
        (
            role,
            "PERMISSIONS_MANAGEMENT_ACTIONS",
            "logs:putresourcepolicy",
        ): "Step Functions asks for it to deliver logs"
        " (https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html)"
        for role in ("CompactRole", "OptimizeRole", "ReprocessRole", "StartRunRole")
    },
    **{
        (
            role,
            "RESOURCE_MISMATCH",
            "states:DescribeExecution needs *:express:*",
        ): "either kind of execution would do, and no machine of ours has express ones"
        for role in (
            "CompactRole",
            "OptimizeRole",
            "ReprocessRole",
            "PlanReprocessRole",
            "CommitReprocessRole",
            "UndoReprocessRole",
            "ReprocessPolicy",
        )
    },
    (
        "StartRunRole",
        "RESOURCE_MISMATCH",
        "states:ListExecutions needs *:mapRun:*",
    ): "the executions of a machine or those of a map run: here a machine's",
    (
        "DataKey",
        "MISMATCHED_TYPE",
        "Type mismatch: ArnLike requires a value of type Arn but given String",
    ): "the encryption context of a log group is its ARN"
    " (https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html)",
    (
        "DataKey",
        "PERMISSIONS_MANAGEMENT_ACTIONS",
        "kms:creategrant, kms:putkeypolicy, kms:revokegrant",
    ): "a key that its account cannot administer can never be changed again",
    (
        "DataKey",
        "RESOURCE_MISMATCH",
        "kms:*Alias needs *:alias/*",
    ): "half of the right is the key's; the other half, on the alias, stands in the administrators' own policies",
    (
        "DevicePolicy",
        "UNKNOWN_CONDITION_FOR_ACTION",
        "Unknown condition iot:Connection.Thing.IsAttached for action iot:*",
    ): "known in policies of certificates (https://docs.aws.amazon.com/iot/latest/developerguide/thing-policy-variables.html)",
}
"""By resource, issue and what it says; `*` stands for anything."""

MAPS = (
    "Write Parquet Files",
    "Rewrite Parquet Files",
    "Decode All Objects",
    "Merge All Readings",
    "Write All To Hot Table",
)
"""The states that are Distributed Maps."""

STATELINT = {
    **{
        f'Field "Label" not allowed in State Machine.States.{state}': "labels of Distributed Maps are newer than"
        " statelint's grammar (https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html)"
        for state in MAPS
    },
    **{
        f'Field "InputType" not allowed in State Machine.States.{state}.ItemReader.ReaderConfig': "its grammar"
        " has no reader configuration either"
        " (https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itemreader.html)"
        for state in MAPS
    },
}
"""By what it says."""
