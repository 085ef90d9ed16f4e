// Server-Sent Events by fetch: an EventSource cannot send a key.

// Every event of a response's body, as {id, type, data}; ends with the stream.
export async function* eventsOf(body) {
  let event = {};
  for await (const line of linesOf(body)) {
    if (line === "") {
      if ("data" in event) yield event;
      event = {};
    } else if (!line.startsWith(":")) {
      const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line);
      event[name === "event" ? "type" : name] = value;
    }
  }
}

async function* linesOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\r\n"); // as the API ends them
    rest = lines.pop();
    yield* lines;
  }
}
