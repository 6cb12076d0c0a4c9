package perenne.pnp.model;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.UnaryOperator;

/**
 * A person's preferences: what differs from the initial values, by key, as text. Immutable, always valid, and small, because
 * it is replicated with the session that edits it.
 */
public record Preferences(TreeMap<String, String> wishes) implements Serializable {

    /** Nothing asked for. */
    public static final Preferences NONE = new Preferences(new TreeMap<>());

    public Preferences {
        wishes = new TreeMap<>(wishes);
    }

    @Override
    public TreeMap<String, String> wishes() {
        return new TreeMap<>(wishes);
    }

    /** Takes what fits and leaves out the rest: rows that an older or newer release wrote must stay readable. */
    public static Preferences lenient(Map<String, String> values) {
        TreeMap<String, String> wishes = new TreeMap<>();
        for (Preference preference : Catalogue.all()) {
            Optional.ofNullable(values.get(preference.key()))
                    .filter(text -> preference.complaint(text).isEmpty())
                    .ifPresent(text -> put(wishes, preference, text));
        }
        return new Preferences(wishes);
    }

    public String value(Preference preference) {
        return wishes.getOrDefault(preference.key(), preference.initial());
    }

    /** True when the person asked for something other than the initial value. */
    public boolean asked(Preference preference) {
        return wishes.containsKey(preference.key());
    }

    /** The effective value of every preference, asked for or not, by key, in the catalogue's order. */
    public Map<String, String> effective() {
        Map<String, String> values = new LinkedHashMap<>();
        Catalogue.all().forEach(preference -> values.put(preference.key(), value(preference)));
        return values;
    }

    /**
     * These preferences with one level replaced by a form's fields. A toggle that is not in the form is off (browsers don't
     * send empty checkboxes); any other field that is missing goes back to its initial value.
     *
     * @param field the form: from a field's name to its value, or null
     * @throws InvalidInput naming every field in error
     */
    public Preferences withForm(Level level, UnaryOperator<String> field) {
        TreeMap<String, String> changed = wishes();
        List<Violation> violations = new ArrayList<>();
        for (Preference preference : Catalogue.of(level)) {
            String sent = field.apply(preference.key());
            String text = sent == null ? preference.initial() : sent.strip();
            preference.complaint(text).ifPresentOrElse(
                    detail -> violations.add(new Violation(List.of("preferences", level.key(), preference.key()), detail)),
                    () -> put(changed, preference, text));
        }
        if (!violations.isEmpty()) {
            throw new InvalidInput(violations);
        }
        return new Preferences(changed);
    }

    private static void put(Map<String, String> wishes, Preference preference, String text) {
        if (text.equals(preference.initial())) {
            wishes.remove(preference.key());
        } else {
            wishes.put(preference.key(), text);
        }
    }
}
