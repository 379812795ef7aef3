"""Every resource of an allowed action that is everything, or more than one thing with a name, and why."""

KEY_POLICY = "in a key policy `*` is the key itself"
X_RAY = "X-Ray knows no resource for segments and sampling"
REGISTRATION = "IoT knows no resource for registering a thing and for listing what a principal has"
INTERFACES = "EC2 describes all network interfaces and subnets or none; the function's own code is denied it"
OURS = "an endpoint's policy says whose resources: those of the account; the roles say which"
LISTING = "to list log groups knows no resource"
LISTING_STACKS = "to list stacks knows no resource, and a system is found among all by its tag"
LOG_DELIVERY = "log deliveries of Step Functions know no resource"

BATCH_FUNCTIONS = (
    "PlanCompactionRole",
    "WriteParquetRole",
    "CommitTableRole",
    "PlanOptimizationRole",
    "RewriteParquetRole",
    "CommitRewriteRole",
    "ExpireSnapshotsRole",
    "SweepOrphansRole",
)
REPROCESSING_FUNCTIONS = (
    "PlanReprocessRole",
    "RestoreObjectsRole",
    "DecodeObjectsRole",
    "PlanMergeRole",
    "MergeReadingsRole",
    "CommitReprocessRole",
    "WriteHotTableRole",
    "ReportReprocessRole",
    "UndoReprocessRole",
)
FUNCTIONS_OF_MACHINES = (
    *(("batch", role) for role in BATCH_FUNCTIONS),
    *(("reprocessing", role) for role in REPROCESSING_FUNCTIONS),
)
WITH_MAP = (("batch", "CompactRole"), ("batch", "OptimizeRole"), ("reprocessing", "ReprocessRole"))
MACHINES = (*WITH_MAP, ("batch", "StartRunRole"))

ANY_RESOURCE = {
    ("security", "DataKey", "kms"): KEY_POLICY,
    ("devices", "ProvisioningRole", "iot"): REGISTRATION,
    ("network", "DynamodbEndpoint", "dynamodb"): OURS,
    ("network", "GlueEndpoint", "glue"): OURS,
    ("network", "S3Endpoint", "s3"): OURS,
    ("network", "SecretsmanagerEndpoint", "secretsmanager"): OURS,
    ("network", "SnsEndpoint", "sns"): OURS,
    ("network", "StatesEndpoint", "states"): OURS,
    ("network", "FlowLogsRole", "logs"): LISTING,
    ("notifications", "RotateSecretRole", "ec2"): INTERFACES,
    ("realtime", "ProcessReadingsRole", "ec2"): INTERFACES,
    **{(*role, "ec2"): INTERFACES for role in FUNCTIONS_OF_MACHINES},
    ("realtime", "ProcessReadingsRole", "xray"): X_RAY,
    ("notifications", "DeliverWebhookRole", "xray"): X_RAY,
    ("notifications", "RotateSecretRole", "xray"): X_RAY,
    **{(*role, "xray"): X_RAY for role in (*FUNCTIONS_OF_MACHINES, *MACHINES)},
    **{(*role, "logs"): LOG_DELIVERY for role in MACHINES},
    ("reprocessing", "ReprocessPolicy", "cloudformation"): LISTING_STACKS,
}
"""By stack, resource and the service of the actions."""

MORE_THAN_ONE = {
    ("audit", "TrailLogsRole", "log-group"): "CloudTrail gives its log streams an ending of its own",
    **{(*role, "execution"): "executions are named when they are started" for role in WITH_MAP},
    **{
        ("reprocessing", role, "execution"): "a claim names the execution that has made it"
        for role in ("PlanReprocessRole", "CommitReprocessRole", "UndoReprocessRole")
    },
    **{
        (*role, "stateMachine"): "in the trust: the children of a map have a machine below the machine"
        for role in WITH_MAP
    },
    ("devices", "ProvisioningRole", "*"): "in the trust: IoT documents no narrower source for provisioning",
    ("devices", "ProvisioningRole", "cert"): "the certificate is made when a device registers",
    ("devices", "ProvisioningRole", "thing"): "a device is not known before it registers",
    ("devices", "RuleLogsRole", "*"): "in the trust: IoT documents no narrower source for logging",
    ("network", "FlowLogsRole", "vpc-flow-log"): "in the trust: the flow log is named when it is made, with this role",
    **{
        (stack, role, kind): "Lambda makes interfaces and names them then, and the function's own code is denied it"
        for stack, role in (
            ("notifications", "RotateSecretRole"),
            ("realtime", "ProcessReadingsRole"),
            *FUNCTIONS_OF_MACHINES,
        )
        for kind in ("*", "network-interface", "security-group", "subnet")
    },
}
"""By stack, role and the kind of resource: a pattern for what has no name when the template is made."""
