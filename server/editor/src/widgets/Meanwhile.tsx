import { Box, aria, type FieldProps } from "./field";
import { valueWords } from "./values";

/** A field that is still to come: its value in its place, so that nothing moves when it is there. */
export function Meanwhile(props: FieldProps) {
  const value = props.value ?? props.fallback;
  return (
    <Box props={props}>
      <button type="button" {...aria(props)} className="field__input field__button" disabled>
        <span className="cut">{value === undefined ? "" : valueWords(value)}</span>
      </button>
    </Box>
  );
}
