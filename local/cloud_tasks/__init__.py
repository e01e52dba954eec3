"""A small Cloud Tasks server: google-cloud-tasks speaks gRPC to it as it does to Google's, and it dispatches over HTTP."""
