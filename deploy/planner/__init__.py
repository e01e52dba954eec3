"""What a deploy would do to a project, asked of firebase-tools itself (`python -m deploy.planner`). Nothing is deployed."""
