"""The functions as firebase-functions declares them: each adapts its event or request, and calls one workflow."""
