package perenne.pnp.api;

import jakarta.json.Json;
import jakarta.json.JsonException;
import jakarta.json.JsonObject;
import jakarta.json.JsonReader;
import jakarta.json.JsonString;
import jakarta.json.JsonValue;
import jakarta.json.stream.JsonParsingException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import perenne.pnp.model.InvalidInput;
import perenne.pnp.model.Violation;

/** Reads what clients send. */
final class Bodies {

    /** In bytes; the largest person is below 4 KiB. */
    static final int LIMIT = 64 * 1024;

    private Bodies() {}

    /**
     * The body as JSON object.
     *
     * @param fields the members that it may have
     * @throws InvalidInput naming members that are not among them
     */
    static JsonObject object(InputStream body, Set<String> fields) throws IOException {
        byte[] bytes = body.readNBytes(LIMIT + 1);
        if (bytes.length > LIMIT) {
            throw Problem.exception(413, "The body is longer than %d bytes.".formatted(LIMIT));
        }
        try (JsonReader reader = Json.createReader(new ByteArrayInputStream(bytes))) {
            if (!(reader.readValue() instanceof JsonObject object)) {
                throw Problem.exception(400, "The body must be a JSON object.");
            }
            List<Violation> unknown = new ArrayList<>();
            object.keySet().stream().filter(field -> !fields.contains(field))
                    .forEach(field -> unknown.add(new Violation(List.of(field), "is not a field here")));
            if (!unknown.isEmpty()) {
                throw new InvalidInput(unknown);
            }
            return object;
        } catch (JsonParsingException malformed) {
            throw Problem.exception(400, "The body is not JSON: see line %d, column %d.".formatted(
                    malformed.getLocation().getLineNumber(), malformed.getLocation().getColumnNumber()));
        } catch (JsonException malformed) {
            throw Problem.exception(400, "The body is not JSON.");
        }
    }

    /**
     * A member that is text.
     *
     * @throws InvalidInput when it is missing, not text or longer than the limit
     */
    static String text(JsonObject object, String field, int limit) {
        if (!(object.get(field) instanceof JsonString text)) {
            throw invalid(field, "must be text");
        }
        if (text.getString().length() > limit) {
            throw invalid(field, "must not be longer than %d characters".formatted(limit));
        }
        return storable(field, text.getString());
    }

    /**
     * Text that PostgreSQL can hold; from a body or a query string.
     *
     * @param text may be null
     * @throws InvalidInput when it has a null character or an unpaired surrogate
     */
    static String storable(String field, String text) {
        if (text != null && text.codePoints().anyMatch(c -> c == 0 || Character.getType(c) == Character.SURROGATE)) {
            throw invalid(field, "must not contain null characters or half characters");
        }
        return text;
    }

    static UUID uuid(JsonObject object, String field) {
        return uuid(field, text(object, field, 36));
    }

    static UUID uuid(String field, String text) {
        try {
            UUID id = UUID.fromString(text);
            // UUID.fromString also takes shortened groups, which would come back as another text.
            if (id.toString().equalsIgnoreCase(text)) {
                return id;
            }
        } catch (IllegalArgumentException notAnId) {
            throw invalid(field, "must be a UUID");
        }
        throw invalid(field, "must be a UUID");
    }

    static InvalidInput invalid(String field, String detail) {
        return new InvalidInput(List.of(new Violation(List.of(field), detail)));
    }

    /** True when a member is absent or null. */
    static boolean absent(JsonObject object, String field) {
        return object.getOrDefault(field, JsonValue.NULL) == JsonValue.NULL;
    }
}
