"""Prices in USD that a run's cost is estimated with: on demand, us-east-1, as published on AWS's pricing pages.

Other regions differ by up to a third; an estimate says which of two plans is dear, not what the invoice will be.
"""

# https://aws.amazon.com/s3/pricing/: S3 Standard; a LIST costs what a PUT costs
S3_PUT_OR_LIST = 0.005 / 1_000
S3_GET = 0.0004 / 1_000

S3_GB_MONTH = 0.023  # of the first 50 TB; what a restored copy costs beside its frozen object

# https://aws.amazon.com/dynamodb/pricing/on-demand/: items of at most 1 KB, which a reading of some ten metrics is
HOT_WRITE = 0.625 / 1_000_000
HOT_READ = 0.125 / 1_000_000

# https://aws.amazon.com/lambda/pricing/: arm64, first tier, 512 MB of /tmp included
LAMBDA_GB_S = 0.0000133334
LAMBDA_REQUEST = 0.20 / 1_000_000

# https://aws.amazon.com/step-functions/pricing/: standard workflows
STATE_TRANSITION = 0.025 / 1_000
