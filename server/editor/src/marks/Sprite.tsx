/** The drawings of the editor: icons on a grid of 16, and the shapes of kinds of data on one of 12. */
import { memo } from "react";

/** Stands once in the page; `Icon`, `Mark` and `Port` refer to it. */
export const Sprite = memo(function Sprite() {
  return (
    <svg className="sprite" aria-hidden="true">
      <defs>
        <symbol id="i-plus" viewBox="0 0 16 16">
          <path d="M8 3v10M3 8h10" />
        </symbol>
        <symbol id="i-search" viewBox="0 0 16 16">
          <circle cx="7" cy="7" r="4.2" />
          <path d="m10.2 10.2 3.3 3.3" />
        </symbol>
        <symbol id="i-tree" viewBox="0 0 16 16">
          <path d="M3 3.5h4M5 3.5v9M5 8h3.5M5 12.5h3.5" />
          <path d="M10.5 8h3M10.5 12.5h3M9 3.5h4.5" />
        </symbol>
        <symbol id="i-files" viewBox="0 0 16 16">
          <path d="M2.5 4.5v8h11v-7h-6l-1.5-2h-3.5z" />
        </symbol>
        <symbol id="i-examples" viewBox="0 0 16 16">
          <rect x="2.5" y="2.5" width="4.5" height="4.5" rx="1" />
          <rect x="9" y="2.5" width="4.5" height="4.5" rx="1" />
          <rect x="2.5" y="9" width="4.5" height="4.5" rx="1" />
          <rect x="9" y="9" width="4.5" height="4.5" rx="1" />
        </symbol>
        <symbol id="i-settings" viewBox="0 0 16 16">
          <path d="M2.5 5h5M11.5 5h2M2.5 11h2M8.5 11h5" />
          <circle cx="9.5" cy="5" r="1.8" />
          <circle cx="6.5" cy="11" r="1.8" />
        </symbol>
        <symbol id="i-help" viewBox="0 0 16 16">
          <circle cx="8" cy="8" r="5.8" />
          <path d="M6.3 6.4c.2-2 3.5-2 3.5 0 0 1.3-1.8 1.3-1.8 2.7M8 11.2v.1" />
        </symbol>
        <symbol id="i-play" viewBox="0 0 16 16">
          <path d="M5 3.2v9.6l7.5-4.8z" fill="currentColor" strokeLinejoin="round" />
        </symbol>
        <symbol id="i-stop" viewBox="0 0 16 16">
          <rect x="4" y="4" width="8" height="8" rx="1" fill="currentColor" />
        </symbol>
        <symbol id="i-live" viewBox="0 0 16 16">
          <circle cx="8" cy="8" r="1.6" fill="currentColor" />
          <path d="M4.9 4.9a4.4 4.4 0 0 0 0 6.2M11.1 4.9a4.4 4.4 0 0 1 0 6.2" />
        </symbol>
        <symbol id="i-dice" viewBox="0 0 16 16">
          <rect x="2.8" y="2.8" width="10.4" height="10.4" rx="2" />
          <path d="M5.7 5.7v.1M10.3 5.7v.1M8 8v.1M5.7 10.3v.1M10.3 10.3v.1" strokeWidth="1.8" />
        </symbol>
        <symbol id="i-down" viewBox="0 0 16 16">
          <path d="m4 6.2 4 4 4-4" />
        </symbol>
        <symbol id="i-right" viewBox="0 0 16 16">
          <path d="m6.2 4 4 4-4 4" />
        </symbol>
        <symbol id="i-up" viewBox="0 0 16 16">
          <path d="m4 9.8 4-4 4 4" />
        </symbol>
        <symbol id="i-left" viewBox="0 0 16 16">
          <path d="m9.8 4-4 4 4 4" />
        </symbol>
        <symbol id="i-close" viewBox="0 0 16 16">
          <path d="m4 4 8 8M12 4l-8 8" />
        </symbol>
        <symbol id="i-pin" viewBox="0 0 16 16">
          <path d="M6 2.5h4l-.5 4 2.5 2.5H4l2.5-2.5zM8 9v4.5" />
        </symbol>
        <symbol id="i-reset" viewBox="0 0 16 16">
          <path d="M3.5 8a4.5 4.5 0 1 0 1.6-3.4L3.2 6.2M3 3v3.3h3.3" />
        </symbol>
        <symbol id="i-goto" viewBox="0 0 16 16">
          <path d="M4 12 12 4M6.5 4H12v5.5" />
        </symbol>
        <symbol id="i-unlink" viewBox="0 0 16 16">
          <path d="M6.5 4.5 8 3a3.2 3.2 0 0 1 4.6 4.6l-1.4 1.3M9.5 11.5 8 13a3.2 3.2 0 0 1-4.6-4.6l1.4-1.3M3 3l10 10" />
        </symbol>
        <symbol id="i-mute" viewBox="0 0 16 16">
          <path d="M2.5 8s2-3.8 5.5-3.8S13.5 8 13.5 8s-2 3.8-5.5 3.8S2.5 8 2.5 8z" />
          <path d="M3 13 13 3" />
        </symbol>
        <symbol id="i-bypass" viewBox="0 0 16 16">
          <path d="M2 11h2.5C6.5 11 6 5 8 5s1.5 6 3.5 6H14" />
        </symbol>
        <symbol id="i-warn" viewBox="0 0 16 16">
          <path d="M8 2.8 14 13H2z" />
          <path d="M8 6.8v2.7M8 11.2v.1" />
        </symbol>
        <symbol id="i-error" viewBox="0 0 16 16">
          <circle cx="8" cy="8" r="5.8" />
          <path d="m6 6 4 4M10 6l-4 4" />
        </symbol>
        <symbol id="i-check" viewBox="0 0 16 16">
          <path d="m3.5 8.5 3 3 6-7" />
        </symbol>
        <symbol id="i-clock" viewBox="0 0 16 16">
          <circle cx="8" cy="8" r="5.5" />
          <path d="M8 5v3l2 1.5" />
        </symbol>
        <symbol id="i-disk" viewBox="0 0 16 16">
          <ellipse cx="8" cy="4.3" rx="4.8" ry="1.9" />
          <path d="M3.2 4.3v7.4c0 1 2.1 1.9 4.8 1.9s4.8-.9 4.8-1.9V4.3M3.2 8c0 1 2.1 1.9 4.8 1.9s4.8-.9 4.8-1.9" />
        </symbol>
        <symbol id="i-memory" viewBox="0 0 16 16">
          <rect x="4" y="4" width="8" height="8" rx="1" />
          <path d="M6.2 4V2M9.8 4V2M6.2 14v-2M9.8 14v-2M4 6.2H2M4 9.8H2M14 6.2h-2M14 9.8h-2" />
        </symbol>
        <symbol id="i-dash" viewBox="0 0 16 16">
          <path d="M4 8h8" />
        </symbol>
        <symbol id="i-ring" viewBox="0 0 16 16">
          <circle cx="8" cy="8" r="4.5" />
        </symbol>
        <symbol id="i-drag" viewBox="0 0 16 16">
          <path d="M6 4v.1M10 4v.1M6 8v.1M10 8v.1M6 12v.1M10 12v.1" strokeWidth="1.9" />
        </symbol>
        <symbol id="i-retry" viewBox="0 0 16 16">
          <path d="M12.5 8A4.5 4.5 0 1 1 11 4.6l1.8 1.6M13 3v3.3H9.7" />
        </symbol>
        <symbol id="i-split" viewBox="0 0 16 16">
          <rect x="2.5" y="3.5" width="11" height="9" rx="1" />
          <path d="M8 2v12" />
        </symbol>
        <symbol id="i-fit" viewBox="0 0 16 16">
          <path d="M3 6V3h3M13 6V3h-3M3 10v3h3M13 10v3h-3" />
        </symbol>
        <symbol id="i-map" viewBox="0 0 16 16">
          <rect x="2.5" y="3.5" width="11" height="9" rx="1" />
          <rect x="7" y="7" width="4.5" height="3.5" />
        </symbol>
        <symbol id="i-undo" viewBox="0 0 16 16">
          <path d="M3 6h6.5a3.5 3.5 0 0 1 0 7H6M5.5 3.5 3 6l2.5 2.5" />
        </symbol>
        <symbol id="i-redo" viewBox="0 0 16 16">
          <path d="M13 6H6.5a3.5 3.5 0 0 0 0 7H10M10.5 3.5 13 6l-2.5 2.5" />
        </symbol>
        <symbol id="i-menu" viewBox="0 0 16 16">
          <path d="M3 4.5h10M3 8h10M3 11.5h10" />
        </symbol>
        <symbol id="i-dots" viewBox="0 0 16 16">
          <path d="M4 8v.1M8 8v.1M12 8v.1" strokeWidth="2" />
        </symbol>
        <symbol id="i-pause" viewBox="0 0 16 16">
          <path d="M5.5 4v8M10.5 4v8" strokeWidth="2" />
        </symbol>
        <symbol id="i-arc" viewBox="0 0 16 16">
          <path d="M8 2.5A5.5 5.5 0 1 1 2.5 8" />
        </symbol>
        <symbol id="i-note" viewBox="0 0 16 16">
          <path d="M3 3h10v7l-3 3H3zM10 13v-3h3" />
        </symbol>
        <symbol id="i-enter" viewBox="0 0 16 16">
          <path d="M9.5 3H13v10H3V9M3 3l5 5M8 4.5V8H4.5" />
        </symbol>
        <symbol id="i-sun" viewBox="0 0 16 16">
          <circle cx="8" cy="8" r="2.8" />
          <path d="M8 1.8v1.5M8 12.7v1.5M1.8 8h1.5M12.7 8h1.5M3.6 3.6l1.1 1.1M11.3 11.3l1.1 1.1M12.4 3.6l-1.1 1.1M4.7 11.3l-1.1 1.1" />
        </symbol>
        <symbol id="i-moon" viewBox="0 0 16 16">
          <path d="M13 9.5A5.5 5.5 0 0 1 6.5 3 5.5 5.5 0 1 0 13 9.5z" />
        </symbol>
        <symbol id="i-forward" viewBox="0 0 16 16">
          <path d="m3 4 5 4-5 4zM8 4l5 4-5 4z" />
        </symbol>
        <symbol id="i-copy" viewBox="0 0 16 16">
          <rect x="5.5" y="5.5" width="8" height="8" rx="1" />
          <path d="M10.5 5.5v-3h-8v8h3" />
        </symbol>
        <symbol id="i-image" viewBox="0 0 16 16">
          <rect x="2.5" y="3" width="11" height="10" rx="1" />
          <path d="m3 11.5 3.2-3.2 2.3 2.2 1.5-1.4 3 2.8M10.5 6v.1" />
        </symbol>
        <symbol id="i-phone" viewBox="0 0 16 16">
          <rect x="4.5" y="2" width="7" height="12" rx="1.5" />
          <path d="M7.5 11.8h1" />
        </symbol>
        <symbol id="i-queue" viewBox="0 0 16 16">
          <path d="M3 4h10M3 8h7M3 12h4" />
        </symbol>
        <symbol id="i-timeline" viewBox="0 0 16 16">
          <path d="M3 4.5h5M6 8h6M4 11.5h3" strokeWidth="2.2" />
        </symbol>
        <symbol id="i-curve" viewBox="0 0 16 16">
          <path d="M2.5 3v10.5H14" />
          <path d="M4 4.5c1 5 4 5.5 9 6.5" />
        </symbol>
        <symbol id="i-folder" viewBox="0 0 16 16">
          <path d="M2.5 4.5v8h11v-7h-6l-1.5-2h-3.5z" />
        </symbol>
        <symbol id="i-star" viewBox="0 0 16 16">
          <path d="m8 2.5 1.7 3.6 3.8.5-2.8 2.7.7 3.9L8 11.3l-3.4 1.9.7-3.9-2.8-2.7 3.8-.5z" />
        </symbol>
        <symbol id="i-file" viewBox="0 0 16 16">
          <path d="M4 2.5h5l3 3v8H4z" />
          <path d="M9 2.5v3h3" />
        </symbol>
        <symbol id="i-key" viewBox="0 0 16 16">
          <rect x="2" y="4.5" width="12" height="7.5" rx="1.5" />
          <path d="M4.5 7v.1M7 7v.1M9.5 7v.1M12 7v.1M5 9.5h6" />
        </symbol>
        <symbol id="i-wave" viewBox="0 0 16 16">
          <path d="M2 8h2l1.5-4 3 8L10 8h4" />
        </symbol>
        <symbol id="i-lost" viewBox="0 0 16 16">
          <path d="M2.5 6.5a8 8 0 0 1 11 0M5 9.3a4.5 4.5 0 0 1 6 0M8 12.3v.1M2.5 2.5l11 11" />
        </symbol>
        <symbol id="i-scale" viewBox="0 0 16 16">
          <path d="M3 13 13 3M8.5 3H13v4.5M7.5 13H3V8.5" />
        </symbol>
        <symbol id="p-model" viewBox="0 0 12 12">
          <rect x="1.5" y="1.5" width="9" height="9" rx="1.2" />
        </symbol>
        <symbol id="p-net" viewBox="0 0 12 12">
          <path fillRule="evenodd" d="M2.7 1.5h6.6a1.2 1.2 0 0 1 1.2 1.2v6.6a1.2 1.2 0 0 1-1.2 1.2H2.7a1.2 1.2 0 0 1-1.2-1.2V2.7a1.2 1.2 0 0 1 1.2-1.2zM4.3 4.3v3.4h3.4V4.3z" />
        </symbol>
        <symbol id="p-adapter" viewBox="0 0 12 12">
          <path fillRule="evenodd" d="M2.7 1.5h6.6a1.2 1.2 0 0 1 1.2 1.2v6.6a1.2 1.2 0 0 1-1.2 1.2H2.7a1.2 1.2 0 0 1-1.2-1.2V2.7a1.2 1.2 0 0 1 1.2-1.2zM3.2 5v2h5.6V5z" />
        </symbol>
        <symbol id="p-adapter-down" viewBox="0 0 12 12">
          <path fillRule="evenodd" d="M2.7 1.5h6.6a1.2 1.2 0 0 1 1.2 1.2v6.6a1.2 1.2 0 0 1-1.2 1.2H2.7a1.2 1.2 0 0 1-1.2-1.2V2.7a1.2 1.2 0 0 1 1.2-1.2zM5 3.2v5.6h2V3.2z" />
        </symbol>
        <symbol id="p-conditioning" viewBox="0 0 12 12">
          <path d="M2.3 1.2 11 6l-8.7 4.8z" strokeLinejoin="round" />
        </symbol>
        <symbol id="p-guidance" viewBox="0 0 12 12">
          <path d="M4.2 1h3.6v3.2H11v3.6H7.8V11H4.2V7.8H1V4.2h3.2z" />
        </symbol>
        <symbol id="p-control" viewBox="0 0 12 12">
          <path d="M1.3 1.5h9.4v4.3L6 11.2 1.3 5.8z" />
        </symbol>
        <symbol id="p-latents" viewBox="0 0 12 12">
          <path d="M6 .4 11.6 6 6 11.6.4 6z" />
        </symbol>
        <symbol id="p-trajectory" viewBox="0 0 12 12">
          <path fillRule="evenodd" d="M6 .4 11.6 6 6 11.6.4 6zM6 3.7 3.7 6 6 8.3 8.3 6z" />
        </symbol>
        <symbol id="p-image" viewBox="0 0 12 12">
          <circle cx="6" cy="6" r="5" />
        </symbol>
        <symbol id="p-mask" viewBox="0 0 12 12">
          <path fillRule="evenodd" d="M6 1a5 5 0 0 1 0 10A5 5 0 0 1 6 1zm0 1.7a3.3 3.3 0 0 0 0 6.6z" />
        </symbol>
        <symbol id="p-number" viewBox="0 0 12 12">
          <rect x="4" y=".8" width="4" height="10.4" rx="2" />
        </symbol>
        <symbol id="p-text" viewBox="0 0 12 12">
          <rect x=".8" y="4" width="10.4" height="4" rx="2" />
        </symbol>
        <symbol id="p-switch" viewBox="0 0 12 12">
          <path fillRule="evenodd" d="M3.7 3h4.6a3 3 0 0 1 0 6H3.7a3 3 0 0 1 0-6zm4.6 1.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3z" />
        </symbol>
        <symbol id="p-any" viewBox="0 0 12 12">
          <path fillRule="evenodd" d="M6 1a5 5 0 1 1 0 10A5 5 0 0 1 6 1zm0 2.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6z" />
        </symbol>
        <symbol id="p-file" viewBox="0 0 12 12">
          <path d="M2.2.8h4.9l2.7 2.7v7.7H2.2z" />
        </symbol>
        <symbol id="i-brush" viewBox="0 0 16 16">
          <path d="M13.5 2.5 7.5 8.5M7 8.2a2.3 2.3 0 0 0-2.6 2.2c0 1.3-.9 2.1-1.9 2.4 2.6 1 6 .3 6-2.3 0-1-.6-1.9-1.5-2.3z" />
        </symbol>
      </defs>
    </svg>
  );
});
