"""What comes from the network stands in the ingest log, whole and in order."""

from tests.connector.stage import Stage, new_phone


def test_a_contacts_message_becomes_a_row_of_the_ingest_log_and_is_acknowledged(stage: Stage) -> None:
    connector, ours, theirs = stage.start_connector(), new_phone(), new_phone()
    account = stage.paired_account(connector, ours)
    contact = stage.network.add_contact(theirs, "Ana")
    whatsapp_id = stage.network.write(theirs, ours, "hello")
    row = stage.await_row(account, f"{whatsapp_id}-in")
    stage.await_acknowledged(account)
    assert row["chatId"] == contact.number_jid
    assert row["payload"]["text"] == "hello"
