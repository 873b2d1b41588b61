/** Numbers in words, as every part of the editor writes them. */

/** "0.2 ms", "40 ms", "0.1 s", "13.1 s", "48 s", "1:12", "1:02:03". */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds <= 0) return "0 s";
  if (seconds < 0.01) return `${trimmed(seconds * 1000)} ms`;
  if (seconds < 0.095) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 19.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const two = (value: number) => String(value).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** "≈ 10 s", "≈ 0.1 s", "≈ 0 s". */
export function about(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0.05) return "≈ 0 s";
  if (seconds < 9.95) return `≈ ${trimmed(Math.round(seconds * 10) / 10)} s`;
  return `≈ ${seconds < 59.5 ? `${Math.round(seconds)} s` : duration(seconds)}`;
}

/** "1 problem", "3 problems". */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** "12 kB", "3.4 MB". */
export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : trimmed(Math.round(value * 10) / 10)} ${units[unit]}`;
}

function trimmed(value: number): string {
  return value.toFixed(1).replace(/\.0$/, "");
}

/** A span of time in one unit: "3 minutes", "2 days". */
export function ageWords(seconds: number): string {
  const span = Math.max(0, seconds);
  if (span < 90) return counted(Math.max(1, Math.round(span)), "second");
  if (span < 90 * 60) return counted(Math.round(span / 60), "minute");
  if (span < 36 * 3600) return counted(Math.round(span / 3600), "hour");
  return counted(Math.round(span / 86_400), "day");
}
