"""Asks firebase-tools itself what a deploy would do to a project (`python -m deploy.planner`). Deploys nothing."""
