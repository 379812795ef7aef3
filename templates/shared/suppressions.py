"""What a security check asks of a resource and we decide against: said in the resource's metadata, with the reason.

The forms are the checks' own, so that they find them wherever they are run: checkov's
https://www.checkov.io/2.Basics/Suppressing%20and%20Skipping%20Policies.html and the one of AWS's rules for Guard,
https://github.com/aws-cloudformation/aws-guard-rules-registry#rule-suppression.
"""

from troposphere import AWSObject


def suppress(resource: AWSObject, reason: str, *rules: str) -> None:
    """Say of the resource that these rules do not hold for it, and why; a rule that holds fails the checks as well.

    `rules` are checkov's (`CKV_AWS_18`) or Guard's, by the rule's name (`s3_bucket_logging_enabled_check`).
    """
    metadata = resource.resource.setdefault("Metadata", {})
    for rule in rules:
        if rule.startswith("CKV"):
            metadata.setdefault("checkov", {"skip": []})["skip"].append({"id": rule, "comment": reason})
        else:
            guard = metadata.setdefault("guard", {"SuppressedRules": [], "Reasons": {}})
            guard["SuppressedRules"].append(rule)
            guard["Reasons"][rule] = reason
