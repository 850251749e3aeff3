/**
 * Calls to the server, and nothing else: the token goes with every one, a failure becomes a line with what to do, and a
 * lost connection is watched until it is back.
 */

const TOKEN = "colorpipe-token";
const PING_EVERY = 2000;
const BUSY_TRIES = 8;

/** What the server refused, in its own words. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {string} hint what to do; may be empty
   */
  constructor(status, message, hint) {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

/** The server does not answer. */
export class Unreachable extends Error {
  constructor() {
    super("colorpipe does not answer");
    this.hint = "Is the command in the terminal still running?";
  }
}

/** The token of the address, which then leaves the address; a reload finds it in the tab's own storage. */
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem(TOKEN, given);
    history.replaceState(null, "", location.pathname);
  }
  return given ?? sessionStorage.getItem(TOKEN) ?? "";
}

export class Api {
  constructor() {
    this.token = takeToken();
    this.connected = true;
    /** @type {(connected: boolean) => void} called when the connection is lost, and when it is back */
    this.onconnection = () => {};
    /** @type {number} */
    this.timer = 0;
  }

  /**
   * @param {string} path
   * @returns {Promise<any>}
   */
  async get(path) {
    return (await this.#call("GET", path)).json();
  }

  /**
   * @param {"PUT" | "POST"} method
   * @param {string} path
   * @param {object} body
   * @returns {Promise<any>}
   */
  async send(method, path, body) {
    return (await this.#call(method, path, JSON.stringify(body))).json();
  }

  /**
   * A picture, ready to be drawn.
   *
   * @param {string} path
   * @param {AbortSignal} [signal]
   * @returns {Promise<{bitmap: ImageBitmap, revision: number}>}
   */
  async picture(path, signal) {
    const answer = await this.#call("GET", path, undefined, signal);
    const bitmap = await createImageBitmap(await answer.blob());
    return { bitmap, revision: Number(answer.headers.get("X-Revision") ?? 0) };
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {string} [body]
   * @param {AbortSignal} [signal]
   * @returns {Promise<Response>}
   */
  async #call(method, path, body, signal) {
    /** @type {Record<string, string>} */
    const headers = { "X-Colorpipe-Token": this.token };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    for (let attempt = 1; ; attempt += 1) {
      /** @type {Response} */
      let answer;
      try {
        answer = await fetch(path, { method, body, headers, signal, cache: "no-store", redirect: "error" });
      } catch (error) {
        if (signal?.aborted) throw error;
        this.#lost();
        throw new Unreachable();
      }
      this.#found();
      if (answer.ok) return answer;
      if (answer.status === 503 && attempt < BUSY_TRIES) {
        await new Promise((go) => setTimeout(go, 1000 * Number(answer.headers.get("Retry-After") ?? 1)));
        continue;
      }
      const told = await answer.json().catch(() => ({}));
      throw new Refused(answer.status, told.error ?? `the server answered with status ${answer.status}`, told.hint ?? "");
    }
  }

  #lost() {
    if (this.connected) {
      this.connected = false;
      this.onconnection(false);
    }
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.retry(), PING_EVERY);
  }

  #found() {
    clearTimeout(this.timer);
    if (this.connected) return;
    this.connected = true;
    this.onconnection(true);
  }

  /** Asks whether the server is there again. */
  async retry() {
    try {
      await this.get("/api/state");
    } catch (error) {
      // Still away: #lost has set the next try. A refusal is an answer all the same.
      if (!(error instanceof Unreachable) && !(error instanceof Refused)) throw error;
    }
  }
}

/**
 * An address with its query.
 *
 * @param {string} path
 * @param {Record<string, string | number | undefined>} query
 */
export function address(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  return `${path}?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}
