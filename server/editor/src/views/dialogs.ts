/** Dialogs and what else is called up: one part of the page, which comes after the first picture. */
export { openCommandList } from "./CommandList";
export { chooseFiles, openOpen, openSaveAs, openVersions, saveTab } from "./files";
export { openHelp, openLog } from "./Help";
export { openKeySheet } from "./KeySheet";
export { openPreferences } from "./Preferences";
export { copyAsPython, copyText, openTextView } from "./TextView";
