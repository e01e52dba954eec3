"""The snippets of docs/clients.md that cannot be run here: each holds every element of the contract, and no other field."""

import re
from pathlib import Path

import pytest

DOCUMENT = (Path(__file__).parents[2] / "docs" / "clients.md").read_text()
FIELDS = [
    "threadId",
    "accountId",
    "chatId",
    "to",
    "text",
    "clientMessageId",
    "createdByUid",
    "createdByEmail",
    "createdAt",
    "status",
]

# The same elements in each language: the hashed string, the two ids, the digest, the limit, the replay, the listeners.
ELEMENTS = {
    "kotlin": [
        '"${threadId}|${to}|${text}|${clientMessageId}"',
        '"${threadId}_${sha256Hex(',
        '"${threadId}_3EB0${sha256Hex(requestId).take(18).uppercase()}"',
        'MessageDigest.getInstance("SHA-256")',
        "toByteArray(Charsets.UTF_8)",
        '"%02x".format',
        "text.length in 1..4096",
        '"0123456789ABCDEFGHJKMNPQRSTVWXYZ"',
        "counter = if (nowMs > lastMs) 0 else counter + 1",
        "lastMs = maxOf(lastMs, nowMs)",
        "return digitsOf(lastMs, 10) + digitsOf(counter, 4) + tail",
        "@Synchronized",
        'val threadId = "${accountId}_${chatId}"',
        "requestIdOf(threadId, chatId, text, clientMessageId)",
        'db.collection("whatsapp_outbox").document(requestId)',
        '"to" to chatId',
        '"createdByUid" to user.uid',
        '"createdByEmail" to user.email',
        '"createdAt" to FieldValue.serverTimestamp()',
        '"status" to "queued"',
        "Code.PERMISSION_DENIED",
        "request.get(Source.SERVER).await().exists()",
        '"whatsapp_outbox/$requestId"',
        '"whatsapp_messages/${waMessageIdOf(threadId, requestId)}"',
    ],
    "swift": [
        r'"\(threadId)|\(to)|\(text)|\(clientMessageId)"',
        r'"\(threadId)_" + sha256Hex(',
        r'"\(threadId)_3EB0" + sha256Hex(requestId).prefix(18).uppercased()',
        "SHA256.hash(data: Data(value.utf8))",
        'String(format: "%02x", $0)',
        "(1...4096).contains(text.utf16.count)",
        '"0123456789ABCDEFGHJKMNPQRSTVWXYZ"',
        "counter = nowMs > lastMs ? 0 : counter + 1",
        "lastMs = max(lastMs, nowMs)",
        "return digitsOf(lastMs, 10) + digitsOf(counter, 4) + String(tail)",
        "lock.lock()",
        r'let threadId = "\(accountId)_\(chatId)"',
        "requestIdOf(threadId: threadId, to: chatId, text: text, clientMessageId: clientMessageId)",
        'db.collection("whatsapp_outbox").document(requestId)',
        '"to": chatId',
        '"createdByUid": user.uid',
        '"createdByEmail": user.email',
        '"createdAt": FieldValue.serverTimestamp()',
        '"status": "queued"',
        "FirestoreErrorCode.permissionDenied.rawValue",
        "request.getDocument(source: .server).exists",
        r'"whatsapp_outbox/\(requestId)"',
        r'"whatsapp_messages/\(messageId)"',
    ],
    "dart": [
        "'$threadId|$to|$text|$clientMessageId'",
        "'${threadId}_${sha256Hex(",
        "'${threadId}_3EB0${sha256Hex(requestId).substring(0, 18).toUpperCase()}'",
        "sha256.convert(utf8.encode(value)).toString()",
        "text.isEmpty || text.length > 4096",
        "'0123456789ABCDEFGHJKMNPQRSTVWXYZ'",
        "_counter = now > _lastMs ? 0 : _counter + 1",
        "_lastMs = max(_lastMs, now)",
        "return _digitsOf(_lastMs, 10) + _digitsOf(_counter, 4) + tail",
        "final threadId = '${accountId}_$chatId'",
        "requestIdOf(threadId, chatId, text, clientMessageId)",
        "db.collection('whatsapp_outbox').doc(requestId)",
        "'to': chatId",
        "'createdByUid': user.uid",
        "'createdByEmail': user.email",
        "'createdAt': FieldValue.serverTimestamp()",
        "'status': 'queued'",
        "'permission-denied'",
        "request.get(const GetOptions(source: Source.server))",
        "'whatsapp_outbox/$requestId'",
        "'whatsapp_messages/${waMessageIdOf(threadId, requestId)}'",
    ],
}
ENTRY = {"kotlin": r'^ +"(\w+)" to ', "swift": r'^ +"(\w+)": ', "dart": r"^ +'(\w+)': "}


def snippet(language: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return str(found[0])


@pytest.mark.parametrize(
    ("language", "element"), [(language, element) for language in ELEMENTS for element in ELEMENTS[language]]
)
def test_a_snippet_holds_each_element_of_the_contract(language: str, element: str) -> None:
    assert element in snippet(language)


@pytest.mark.parametrize("language", ENTRY)
def test_a_snippet_writes_the_clients_fields_and_no_other(language: str) -> None:
    assert re.findall(ENTRY[language], snippet(language), re.MULTILINE) == FIELDS


@pytest.mark.parametrize("language", ENTRY)
def test_a_snippets_brackets_are_balanced(language: str) -> None:
    code = snippet(language)
    for opening, closing in ("()", "[]", "{}"):
        assert code.count(opening) == code.count(closing)
