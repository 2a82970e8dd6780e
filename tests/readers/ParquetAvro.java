import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import org.apache.avro.generic.GenericRecord;
import org.apache.hadoop.conf.Configuration;
import org.apache.parquet.avro.AvroParquetReader;
import org.apache.parquet.hadoop.ParquetReader;
import org.apache.parquet.hadoop.util.HadoopInputFile;

/** FOLDER: prints, of the part in it, Avro's schema, then each record, as a line of JSON. */
class ParquetAvro {
  public static void main(String[] arguments) throws Exception {
    Configuration configuration = new Configuration();
    // Elements of lists are numbers then, not records that hold one.
    configuration.setBoolean("parquet.avro.add-list-element-records", false);
    try (DirectoryStream<Path> parts =
        Files.newDirectoryStream(Paths.get(arguments[0]), "*.parquet")) {
      Path part = parts.iterator().next();
      HadoopInputFile file =
          HadoopInputFile.fromPath(new org.apache.hadoop.fs.Path(part.toUri()), configuration);
      try (ParquetReader<GenericRecord> reader =
          AvroParquetReader.<GenericRecord>builder(file).withConf(configuration).build()) {
        GenericRecord record = reader.read();
        System.out.println(record.getSchema());
        for (; record != null; record = reader.read()) {
          System.out.println(record);
        }
      }
    }
  }
}
