// hyparquet.js FOLDER: prints the table as JSON, {"COLUMN": [type, values], ...}.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";

const folder = process.argv[2];
const rows = [];
for (const name of readdirSync(folder).filter((name) => name.endsWith(".parquet")).sort()) {
  const file = await asyncBufferFromFile(join(folder, name));
  rows.push(...(await parquetReadObjects({ file, compressors })));
}
const table = {};
for (const [name, value] of Object.entries(rows[0])) {
  table[name] = [value.constructor.name, rows.map((row) => row[name])];
}
const plain = (_, value) => (typeof value === "bigint" ? Number(value) : value);
process.stdout.write(JSON.stringify(table, plain));
