"""The domain: what a record means, whichever function reads it. Pure: no AWS client, no environment, no clock."""
