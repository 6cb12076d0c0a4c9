package perenne.pnp.model;

import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/**
 * A person as stored.
 *
 * @param version 1 when made, one more with every change; what optimistic locking compares
 */
public record Person(UUID id, String name, Preferences preferences, long version, Instant createdAt, Instant updatedAt) {

    /** Longest name kept, in UTF-16 units. */
    public static final int NAME_LIMIT = 120;

    /** True when this is what somebody wants to store: a write that was sent twice has been done once. */
    public boolean holds(String otherName, Preferences otherPreferences) {
        return name.equals(otherName) && preferences.equals(otherPreferences);
    }

    /** What is wrong with a name, if anything. */
    public static Optional<Violation> nameComplaint(String name) {
        if (name == null || name.isBlank()) {
            return Optional.of(new Violation(List.of("name"), "must not be empty"));
        }
        if (name.length() > NAME_LIMIT) {
            return Optional.of(new Violation(List.of("name"), "must not be longer than %d characters".formatted(NAME_LIMIT)));
        }
        if (name.codePoints().anyMatch(c -> Character.isISOControl(c) || Character.getType(c) == Character.SURROGATE)) {
            return Optional.of(new Violation(List.of("name"), "must not contain control characters or half characters"));
        }
        return Optional.empty();
    }
}
