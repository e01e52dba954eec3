// The people on the other side: the phone that an account is linked to, and the contact, through the network's control API.

export class Network {
  constructor(address) {
    this.address = address;
  }

  addContact(contact) {
    return this.#post("/contact", { phone: contact.phone, name: contact.name });
  }

  /** Receipts come at a person's pace, and WhatsApp's ack of the next send takes its time, so that each step can be seen. */
  async beUnhurried(accountPhone) {
    await this.#post("/settings", { receipt_delay_s: 1.6 });
    await this.#post("/fault", {
      kind: "delay_after",
      account: accountPhone,
      seconds: 0.8,
      times: 1,
    });
  }

  scan(accountPhone, qr) {
    return this.#post("/scan", { account: accountPhone, qr });
  }

  write(contact, accountPhone, text) {
    return this.#post("/write", { contact: contact.phone, to: accountPhone, text });
  }

  /** The contact opens the chat and reads what is new. */
  read(contact, accountPhone) {
    return this.#post("/read", { contact: contact.phone, account: accountPhone });
  }

  async #post(path, body) {
    const answer = await fetch(`http://${this.address}${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const content = await answer.json();
    if (!answer.ok) throw new Error(`the network refused ${path}: ${content.error}`);
    return content;
  }
}
