/** Fields that few cards have, and what stands in their place until they are there. */
import { later } from "../marks/later";
import { Meanwhile } from "./Meanwhile";

const rare = () => import("./rareFields");
export const ColourField = later(async () => (await rare()).ColourField, Meanwhile);
export const FileField = later(async () => (await rare()).FileField, Meanwhile);
export const JsonField = later(async () => (await rare()).JsonField, Meanwhile);
export const TableField = later(async () => (await rare()).TableField, Meanwhile);
export const UnionField = later(async () => (await rare()).UnionField, Meanwhile);
export const ListField = later(async () => (await rare()).ListField, Meanwhile);

const links = () => import("./LinkField");
export const LinkedField = later(async () => (await links()).LinkedField);
export const OpenLink = later(async () => (await links()).OpenLink);
export const SourcePicker = later(async () => (await links()).SourcePicker);
