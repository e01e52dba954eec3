"""A Google Cloud that is a JSON file, with `gcloud` and `firebase` programs that work on it as the real ones do on the real one.

It refuses what the real ones refuse: a command or flag that does not exist, a grant for an account or on a service that does not
exist, an API that is not enabled, and, more strictly, a secret on a command line. `programs.install` puts the programs on a PATH.
"""
