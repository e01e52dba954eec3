"""A fake Google Cloud: its state is a JSON file, and fake programs `gcloud` and `firebase` change the state as the real ones would.

It refuses what the real ones refuse: a command or flag that does not exist, a grant for an account or on a service that does not
exist, an API that is not enabled, and, more strictly, a secret on a command line. `programs.install` puts the programs on a PATH.
"""
