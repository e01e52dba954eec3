// How the demo speaks: one line an event, with who did it; colours only on a terminal.

const COLOURS = {
  account: 36,
  contact: 33,
  employee: 32,
  phone: 35,
  "super-admin": 34,
};
const began = Date.now();
const colourful = process.env.DEMO_COLOURS === "1";

function paint(code, text) {
  return colourful ? `\u001b[${code}m${text}\u001b[0m` : text;
}

/** A line of the story: seconds since the clients started, who, what. */
export function say(actor, text) {
  const seconds = ((Date.now() - began) / 1000).toFixed(1).padStart(6);
  const name = actor.padEnd(12);
  const [first, ...rest] = text.split("\n");
  const head = `${paint(2, `${seconds}s`)}  ${paint(COLOURS[actor] ?? 0, name)}  `;
  print([head + first, ...rest.map((line) => " ".repeat(23) + line)].join("\n"));
}

export function print(text) {
  process.stdout.write(`${text}\n`);
}

/** Ticks as a messenger draws them. */
export function ticks(delivery) {
  return (
    {
      queued: paint(2, "◷ queued"),
      sent: "✓ sent",
      delivered: "✓✓ delivered",
      read: paint(36, "✓✓ read"),
      failed: paint(31, "✗ failed"),
    }[delivery] ?? delivery
  );
}

/** Light modules are drawn and dark ones left out, two rows a line; on a terminal black on white whatever its own colours. */
export function drawModules(modules) {
  const lines = [];
  for (let row = 0; row < modules.length; row += 2) {
    const line = modules[row].map((dark, column) => {
      const upper = !dark;
      const lower = !(modules[row + 1]?.[column] ?? true);
      if (upper && lower) return "█";
      if (upper) return "▀";
      return lower ? "▄" : " ";
    });
    lines.push(`    ${paint("97;40", line.join(""))}`);
  }
  print(`\n${lines.join("\n")}\n`);
}
