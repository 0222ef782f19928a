/**
 * A session across a reload of the page: kept in this tab alone, from when the page is hidden or left until it is
 * seen again.
 *
 * A tab that is duplicated copies what is kept; so nothing is, as long as the page that owns the session is seen.
 */

const NAME = "rtc-stt.session";
/** The browser's limit is about five million characters for all of a site. */
const MOST_CHARACTERS = 2_000_000;

/**
 * @typedef {object} SavedSession
 * @property {import("./live_session.js").Resumable} resume
 * @property {number} until  when the server will have forgotten it, in ms as of `Date.now()`
 * @property {import("./transcript.js").Transcript} transcript  what was shown
 */

/** @param {SavedSession} session */
export function save(session) {
  try {
    const text = JSON.stringify(session);
    if (text.length <= MOST_CHARACTERS) sessionStorage.setItem(NAME, text);
  } catch {
    // No storage, or no room in it: then a reload begins anew.
  }
}

export function forget() {
  try {
    sessionStorage.removeItem(NAME);
  } catch {
    // Nothing can have been kept.
  }
}

/** What was saved, where the server may still know it; it is kept no longer. @returns {SavedSession|null} */
export function take() {
  try {
    const saved = JSON.parse(sessionStorage.getItem(NAME) ?? "null");
    forget();
    return saved && saved.until > Date.now() ? saved : null;
  } catch {
    return null;
  }
}
