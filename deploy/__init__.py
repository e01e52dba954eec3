"""Deploys Threadline to a Google Cloud project (`python -m deploy`): the required resources and roles as data, and the steps that create them."""
