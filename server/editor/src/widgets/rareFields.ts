/** Fields that few cards have: one part of the page, which comes after the first picture. */
export { ColourField } from "./ColourField";
export { FileField } from "./FileField";
export { JsonField } from "./JsonField";
export { TableField } from "./TableField";
export { UnionField } from "./UnionField";
export { ListField } from "./ListField";
