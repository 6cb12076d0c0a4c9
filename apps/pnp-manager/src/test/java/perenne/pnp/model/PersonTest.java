package perenne.pnp.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.NullSource;
import org.junit.jupiter.params.provider.ValueSource;

class PersonTest {

    @ParameterizedTest
    @NullSource
    @ValueSource(strings = {"", "  ", "a\u0000b", "two\nlines", "half\uD800"})
    void nameIsRefused(String name) {
        assertTrue(Person.nameComplaint(name).isPresent());
    }

    @Test
    void nameMayHaveAnyLettersUpToTheLimit() {
        assertEquals(Optional.empty(), Person.nameComplaint("Zoë O'Brien 李"));
        assertEquals(Optional.empty(), Person.nameComplaint("x".repeat(Person.NAME_LIMIT)));
        assertTrue(Person.nameComplaint("x".repeat(Person.NAME_LIMIT + 1)).isPresent());
    }
}
