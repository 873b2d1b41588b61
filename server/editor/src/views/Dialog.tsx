/** The few dialogs: what is asked for before something can be done. They take the focus and give it back. */
import { type ReactNode, useEffect, useRef } from "react";
import { create } from "zustand";
import { Icon } from "../marks";

export interface DialogSpec {
  readonly title: string;
  readonly wide?: boolean;
  readonly body: () => ReactNode;
}

export const useDialog = create<{ readonly open: DialogSpec | null }>(() => ({ open: null }));

export function openDialog(spec: DialogSpec): void {
  useDialog.setState({ open: spec });
}

export function closeDialog(): void {
  useDialog.setState({ open: null });
}

/** Stands once in the page. The browser's own dialog keeps the focus inside. */
export function DialogHost() {
  const open = useDialog((state) => state.open);
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open && !element.current?.open) element.current?.showModal();
    if (!open && element.current?.open) element.current.close();
  }, [open]);
  return (
    <dialog
      ref={element}
      className={`dialog${open?.wide ? " dialog--wide" : ""}`}
      aria-label={open?.title ?? "nothing"}
      onClose={closeDialog}
      onClick={(event) => {
        if (event.target === event.currentTarget) closeDialog();
      }}
    >
      {open && (
        <div className="dialog__box" role="document">
          <h2 className="dialog__title">{open.title}</h2>
          {open.body()}
          {/* The last one in the order of the focus, so that a dialog begins at what it asks. */}
          <button type="button" className="button button--plain button--icon button--small dialog__close" aria-label="Close" title="Close (Esc)" onClick={closeDialog}>
            <Icon name="close" />
          </button>
        </div>
      )}
    </dialog>
  );
}
