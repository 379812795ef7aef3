"""Every `*` that a template may have as a resource of an allowed action, and why."""

KEY_POLICY = "in a key policy `*` is the key itself"
X_RAY = "X-Ray knows no resource for segments and sampling"
REGISTRATION = "IoT knows no resource for registering a thing and for listing what a principal has"
LOG_DELIVERY = "log deliveries of Step Functions know no resource"

ANY_RESOURCE = {
    ("security", "DataKey", "kms"): KEY_POLICY,
    ("devices", "ProvisioningRole", "iot"): REGISTRATION,
    ("realtime", "ProcessReadingsRole", "xray"): X_RAY,
    ("notifications", "RotateSecretRole", "xray"): X_RAY,
    ("batch", "PlanCompactionRole", "xray"): X_RAY,
    ("batch", "WriteParquetRole", "xray"): X_RAY,
    ("batch", "CommitTableRole", "xray"): X_RAY,
    ("batch", "CompactRole", "xray"): X_RAY,
    ("batch", "CompactRole", "logs"): LOG_DELIVERY,
}
"""By stack, resource and the service of the actions."""
