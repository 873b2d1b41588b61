import "react";

declare module "react" {
  /** Custom properties may be set as styles. */
  interface CSSProperties {
    [name: `--${string}`]: string | number | undefined;
  }
}
