"""python -m tests.whatsapp.build: makes what the server needs of whatsmeow before its first import has to."""

from tests.whatsapp.generated import ready_folder

if __name__ == "__main__":
    print(ready_folder())  # noqa: T201 - the command's answer
