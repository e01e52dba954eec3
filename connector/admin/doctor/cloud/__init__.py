"""The checks of the Google Cloud project: resources, read with `gcloud`, are compared with the data in `deploy/`."""
