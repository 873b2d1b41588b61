/** An empty place: one bold line, one quiet line with what to do. */
export function Empty({ title, children }: { readonly title: string; readonly children: string }) {
  return (
    <div className="empty">
      <b>{title}</b>
      <span className="quiet small">{children}</span>
    </div>
  );
}
