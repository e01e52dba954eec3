"""The command line of the people who run Threadline: `python -m connector.admin`, on a machine of theirs or in the connector's image.

It reads and writes Firestore as the functions' callables do, and calls nobody: an owner sees what it wrote when it renews its lease,
the sweeper takes up the rest. Who may use it is a matter of Google Cloud's permissions, not of the role claim.
"""
