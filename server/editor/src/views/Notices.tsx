/** Notices below the top bar, the countdown while the server is lost, and the line that screen readers hear. */
import { useEffect, useState } from "react";
import { Icon } from "../marks";
import { useConnection } from "../state/connection";
import { useNotices } from "../state/notices";
import { counted } from "../state/words";

export function Notices() {
  const list = useNotices((state) => state.list);
  return (
    <div className="notices">
      <Locked />
      <Lost />
      {list.map((notice) => (
        <div key={notice.id} className={`notice notice--${notice.kind}`} role="status">
          <Icon name={notice.kind === "info" ? "check" : notice.kind === "warn" ? "warn" : "error"} />
          <span>
            {notice.head && <b className="medium">{notice.head} </b>}
            {notice.text}
          </span>
          <span className="push row notice__acts">
            {notice.actions?.map((action) => (
              <button key={action.label} type="button" className="button button--small" onClick={action.run}>
                {action.label}
              </button>
            ))}
            {!notice.stays && (
              <button type="button" className="button button--small button--plain button--icon" aria-label="Close this notice" onClick={() => useNotices.getState().close(notice.id)}>
                <Icon name="close" small />
              </button>
            )}
          </span>
        </div>
      ))}
    </div>
  );
}

function Locked() {
  const locked = useConnection((state) => state.locked);
  if (!locked) return null;
  return (
    <div className="notice notice--failed" role="status">
      <Icon name="error" />
      <span>
        <b className="medium">The server wants its token. </b>
        Open the address that it printed when it started: the token stands behind its #.
      </span>
    </div>
  );
}

function Lost() {
  const { state, since, retryAt, caughtUp, locked, tryNow } = useConnection();
  const [now, setNow] = useState(Date.now);
  const [seen, setSeen] = useState<number | null>(null);
  const lost = state === "lost";
  useEffect(() => {
    if (!lost) return;
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, [lost]);
  if (locked) return null; // it answers, and says what it wants
  if (lost) {
    const left = retryAt === null ? 0 : Math.max(0, Math.ceil((retryAt - now) / 1000));
    return (
      <div className="notice" role="status">
        <Icon name="lost" />
        <span>
          <b className="medium">The server does not answer.</b> Go on editing: all is kept here. What runs there goes on, and its events
          will be caught up with.
        </span>
        <span className="push quiet small">{left > 0 ? `again in ${left} s` : "trying"}</span>
        <button type="button" className="button button--small" onClick={tryNow}>
          Try now
        </button>
      </div>
    );
  }
  if (state !== "connected" || caughtUp === null || seen === since) return null;
  return (
    <div className="notice notice--info" role="status">
      <Icon name="check" />
      <span>
        <b className="medium">It answers again.</b> {caughtUp === 0 ? "Nothing was missed." : `${counted(caughtUp, "event")} caught up.`}
      </span>
      <button type="button" className="push button button--small button--plain button--icon" aria-label="Close this notice" onClick={() => setSeen(since)}>
        <Icon name="close" small />
      </button>
    </div>
  );
}

/** What happens, in one line, for those who do not see it. */
export function LiveRegion() {
  const { text, count } = useNotices((state) => state.line);
  return (
    <div className="sr-only" role="status" aria-live="polite" aria-label="What happens">
      {/* The region stays, or it would be a new one that is not listened to yet; its child is another each time. */}
      <span key={count}>{text}</span>
    </div>
  );
}
