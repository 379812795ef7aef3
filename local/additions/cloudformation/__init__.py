"""CloudFormation: resource types and properties that MiniStack lacks, and how stacks change, fail and end."""
