package perenne.pnp.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import jakarta.json.Json;
import jakarta.json.JsonObject;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import perenne.pnp.model.InvalidInput;
import perenne.pnp.model.Violation;

class BodiesTest {

    @Test
    void objectIsRead() throws IOException {
        assertEquals("x", Bodies.object(stream("{\"name\":\"x\"}"), Set.of("name")).getString("name"));
    }

    @Test
    void unknownFieldIsNamed() {
        InvalidInput invalid = assertThrows(InvalidInput.class, () -> Bodies.object(stream("{\"nmae\":\"x\"}"), Set.of("name")));
        assertEquals(List.of("nmae"), fields(invalid));
    }

    @Test
    void personsMistakesAreAllNamed() {
        JsonObject sent = Json.createObjectBuilder().add("name", 7)
                .add("preferences", Json.createObjectBuilder().add("control", Json.createObjectBuilder().add("slowKeys", 50)))
                .build();
        InvalidInput invalid = assertThrows(InvalidInput.class, () -> PeopleResource.Content.of(sent));
        assertEquals(List.of("name", "preferences.control.slowKeys"), fields(invalid));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "1-1-1-1-1", "8e2e0c60cf6f4afdbfc8ac2fd2bd7213", "8e2e0c60-cf6f-4afd-bfc8-ac2fd2bd721z"})
    void uuidIsRefused(String text) {
        assertThrows(InvalidInput.class, () -> Bodies.uuid("id", text));
    }

    @ParameterizedTest
    @ValueSource(strings = {"0", "101", "x", "", "99999999999999999999"})
    void numberOutOfRangeIsRefused(String text) {
        InvalidInput invalid = assertThrows(InvalidInput.class, () -> Numbers.within("size", text, 1, 100));
        assertEquals(List.of("size"), fields(invalid));
    }

    @ParameterizedTest
    @CsvSource(quoteCharacter = '\'', value = {"\"3\",3", "W/\"3\",3", "\"3-gzip\",3", " \"12\" ,12"})
    void versionIsReadFromTheTag(String tag, long version) {
        assertEquals(version, Etags.version(tag));
    }

    @Test
    void anyVersionWillDo() {
        assertNull(Etags.version("*"));
        assertNull(Etags.version(null));
    }

    @Test
    void problemNamesTheFields() {
        JsonObject problem = Problem.body(422, "Wrong.", List.of(new Violation(List.of("preferences", "control"), "must be an object")));

        assertEquals("Unprocessable Content", problem.getString("title"));
        assertEquals(422, problem.getInt("status"));
        assertEquals("#/preferences/control", problem.getJsonArray("errors").getJsonObject(0).getString("pointer"));
        assertEquals("preferences.control", problem.getJsonArray("errors").getJsonObject(0).getString("field"));
    }

    private static List<String> fields(InvalidInput invalid) {
        return invalid.violations().stream().map(Violation::field).toList();
    }

    private static InputStream stream(String text) {
        return new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8));
    }
}
