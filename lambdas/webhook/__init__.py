"""What signs an alert: the credentials in the secret, and the signature. Knows no AWS client."""
