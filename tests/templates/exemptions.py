"""Every `*` that a template may have as a resource of an allowed action, and why."""

KEY_POLICY = "in a key policy `*` is the key itself"
X_RAY = "X-Ray knows no resource for segments and sampling"
REGISTRATION = "IoT knows no resource for registering a thing and for listing what a principal has"
INTERFACES = "EC2 describes all network interfaces and subnets or none; the function's own code is denied it"
OURS = "an endpoint's policy says whose resources: those of the account; the roles say which"
LISTING = "to list log groups knows no resource"
LOG_DELIVERY = "log deliveries of Step Functions know no resource"

ANY_RESOURCE = {
    ("security", "DataKey", "kms"): KEY_POLICY,
    ("devices", "ProvisioningRole", "iot"): REGISTRATION,
    ("network", "DynamodbEndpoint", "dynamodb"): OURS,
    ("network", "GlueEndpoint", "glue"): OURS,
    ("network", "S3Endpoint", "s3"): OURS,
    ("network", "SecretsmanagerEndpoint", "secretsmanager"): OURS,
    ("network", "SnsEndpoint", "sns"): OURS,
    ("network", "FlowLogsRole", "logs"): LISTING,
    ("notifications", "RotateSecretRole", "ec2"): INTERFACES,
    ("realtime", "ProcessReadingsRole", "ec2"): INTERFACES,
    ("batch", "PlanCompactionRole", "ec2"): INTERFACES,
    ("batch", "WriteParquetRole", "ec2"): INTERFACES,
    ("batch", "CommitTableRole", "ec2"): INTERFACES,
    ("realtime", "ProcessReadingsRole", "xray"): X_RAY,
    ("notifications", "RotateSecretRole", "xray"): X_RAY,
    ("batch", "PlanCompactionRole", "xray"): X_RAY,
    ("batch", "WriteParquetRole", "xray"): X_RAY,
    ("batch", "CommitTableRole", "xray"): X_RAY,
    ("batch", "CompactRole", "xray"): X_RAY,
    ("batch", "CompactRole", "logs"): LOG_DELIVERY,
}
"""By stack, resource and the service of the actions."""
