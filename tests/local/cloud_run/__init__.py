"""Cloud Run's front end as the local worlds play it."""
