"""Outputs that each reference system promises to whoever deploys it."""

PROMISED = {
    "iot-processing": {
        "ApiSecretArn",
        "ApiSecretName",
        "DashboardName",
        "DynamodbTableName",
        "FirehoseName",
        "KinesisStreamName",
        "ProcessedDataBucketName",
        "ProcessorLambdaName",
        "RawDataBucketName",
        "SnsTopicName",
    },
    "manufacturing": {
        "CloudtrailName",
        "IotThingTypeName",
        "KinesisStreamName",
        "KmsKeyId",
        "LambdaFunctionName",
        "SensorDataBucketName",
        "SensorMetricsTableName",
    },
}
