package perenne.pnp.web;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import perenne.pnp.model.Level;
import perenne.pnp.model.Person;
import perenne.pnp.model.Preferences;

class DraftTest {

    private static final Preferences SOME = Preferences.lenient(Map.of("textSize", "150", "captions", "true"));

    @Test
    void travelsToAnotherNodeWhole() throws IOException, ClassNotFoundException {
        Draft draft = Draft.of("Ana").with(SOME).at(Draft.Step.CONTENT);

        assertEquals(draft, deserialized(serialized(draft)));
    }

    @Test
    void isCheapToReplicate() throws IOException {
        assertTrue(serialized(Draft.of("Ana").with(SOME)).length < 2048);
    }

    @Test
    void changeOfAStoredPersonKeepsItsVersion() {
        Person person = new Person(UUID.randomUUID(), "Ana", SOME, 7, Instant.EPOCH, Instant.EPOCH);
        Draft draft = Draft.of(person).named("Eva").with(Preferences.NONE);

        assertEquals(person.id(), draft.person());
        assertEquals(7, draft.base());
        assertFalse(draft.isNew());
        assertEquals(9, draft.basedOn(9).base());
    }

    @Test
    void stepsEndAtTheReview() {
        assertEquals(Optional.of(Level.PRESENTATION), Draft.of("Ana").step().level());
        assertEquals(Draft.Step.PRESENTATION, Draft.Step.PRESENTATION.previous());
        assertEquals(Draft.Step.REVIEW, Draft.Step.CONTENT.next());
        assertEquals(Draft.Step.REVIEW, Draft.Step.REVIEW.next());
        assertEquals(Optional.empty(), Draft.Step.REVIEW.level());
        assertEquals(Optional.empty(), Draft.Step.find("nowhere"));
    }

    private static byte[] serialized(Draft draft) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ObjectOutputStream stream = new ObjectOutputStream(bytes)) {
            stream.writeObject(draft);
        }
        return bytes.toByteArray();
    }

    private static Object deserialized(byte[] bytes) throws IOException, ClassNotFoundException {
        try (ObjectInputStream stream = new ObjectInputStream(new ByteArrayInputStream(bytes))) {
            return stream.readObject();
        }
    }
}
