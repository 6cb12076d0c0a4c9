package perenne.pnp.store;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class SchemaTest {

    @Test
    void everyScriptIsRunInTheOrderOfItsNumber() throws IOException {
        try (Stream<Path> files = Files.list(Path.of("src/main/resources/db"))) {
            assertEquals(files.map(file -> file.getFileName().toString()).sorted().toList(), Schema.SCRIPTS);
        }
    }
}
