package perenne.pnp.model;

import jakarta.json.Json;
import jakarta.json.JsonObject;
import jakarta.json.JsonObjectBuilder;
import jakarta.json.JsonValue;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/** Preferences as JSON: an object per level, in it a member per preference. */
public final class PreferencesJson {

    private PreferencesJson() {}

    /** Every preference with its effective value: what clients read. */
    public static JsonObject complete(Preferences preferences) {
        return write(preferences, preference -> true);
    }

    /** Only what was asked for: what is stored, so that a later release may change an initial value. */
    public static JsonObject sparse(Preferences preferences) {
        return write(preferences, preferences::asked);
    }

    /**
     * What a client sent. Levels and preferences may be left out; they get their initial values.
     *
     * @throws InvalidInput naming every unknown level or preference, wrong type and value out of range
     */
    public static Preferences strict(JsonValue sent) {
        List<Violation> violations = new ArrayList<>();
        Map<String, String> values = new HashMap<>();
        members(sent, List.of("preferences"), violations).forEach((levelKey, members) -> {
            List<String> path = List.of("preferences", levelKey);
            Optional<Level> level = Arrays.stream(Level.values()).filter(l -> l.key().equals(levelKey)).findFirst();
            if (level.isEmpty()) {
                violations.add(new Violation(path, "is not a level: use presentation, control or content"));
                return;
            }
            members(members, path, violations).forEach((key, value) -> {
                Optional<Preference> preference = Catalogue.find(level.get(), key);
                Optional<String> text = preference.flatMap(p -> p.fromJson(value));
                Optional<String> complaint = preference.isEmpty()
                        ? Optional.of("is not a preference of this level")
                        : text.map(preference.get()::complaint).orElse(Optional.of("must be " + preference.get().expected()));
                complaint.ifPresentOrElse(
                        detail -> violations.add(new Violation(List.of("preferences", levelKey, key), detail)),
                        () -> values.put(key, text.orElseThrow()));
            });
        });
        if (!violations.isEmpty()) {
            throw new InvalidInput(violations);
        }
        return Preferences.lenient(values);
    }

    /** What a row holds; members that this release does not know are passed over. */
    public static Preferences stored(JsonObject row) {
        Map<String, String> values = new HashMap<>();
        for (Preference preference : Catalogue.all()) {
            if (row.get(preference.level().key()) instanceof JsonObject level && level.containsKey(preference.key())) {
                preference.fromJson(level.get(preference.key())).ifPresent(text -> values.put(preference.key(), text));
            }
        }
        return Preferences.lenient(values);
    }

    private static JsonObject write(Preferences preferences, Predicate<Preference> wanted) {
        JsonObjectBuilder levels = Json.createObjectBuilder();
        for (Level level : Level.values()) {
            JsonObjectBuilder members = Json.createObjectBuilder();
            Catalogue.of(level).stream().filter(wanted).forEach(preference ->
                    members.add(preference.key(), preference.toJson(preferences.value(preference))));
            levels.add(level.key(), members);
        }
        return levels.build();
    }

    private static Map<String, JsonValue> members(JsonValue value, List<String> path, List<Violation> violations) {
        if (value instanceof JsonObject object) {
            return object;
        }
        violations.add(new Violation(path, "must be an object"));
        return Map.of();
    }
}
