/** Help as the server writes it: what stands between backquotes is code. */
import type { ReactNode } from "react";

export function HelpText({ text }: { readonly text: string }): ReactNode {
  return text.split(/(`[^`\n]+`)/).map((part, at) => (part.length > 2 && part.startsWith("`") && part.endsWith("`") ? <code key={at} className="code">{part.slice(1, -1)}</code> : part));
}
