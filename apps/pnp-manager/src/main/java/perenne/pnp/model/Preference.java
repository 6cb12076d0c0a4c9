package perenne.pnp.model;

import jakarta.json.Json;
import jakarta.json.JsonNumber;
import jakarta.json.JsonString;
import jakarta.json.JsonValue;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * One thing that a person can ask for. A value is kept as canonical text ({@code "150"}, {@code "true"},
 * {@code "light-on-dark"}), which is what forms send and sessions replicate; JSON carries its natural type.
 */
public sealed interface Preference {

    /** Who can act on it: the page itself, or the person's device, to which the page only hands it on. */
    enum Actor { PAGE, DEVICE }

    Level level();

    /** Name in forms and JSON, unique over all levels. */
    String key();

    String label();

    String hint();

    Actor actor();

    /** The value of someone who has not asked for anything. */
    String initial();

    /** What is wrong with a value in its text form, if anything, as a sentence for the person who typed it. */
    Optional<String> complaint(String text);

    /** The text form of a JSON value of the right type; empty when the type is wrong. */
    Optional<String> fromJson(JsonValue value);

    JsonValue toJson(String text);

    /** The JSON type and range expected, for messages: {@code true or false}. */
    String expected();

    /** The value as a person reads it. */
    String display(String text);

    /** One of several named values. The first is the initial one. */
    record Choice(Level level, String key, String label, String hint, Actor actor, List<Option> options)
            implements Preference {

        @Override
        public String initial() {
            return options.get(0).value();
        }

        @Override
        public Optional<String> complaint(String text) {
            return find(text).isPresent() ? Optional.empty() : Optional.of("must be " + expected());
        }

        @Override
        public Optional<String> fromJson(JsonValue value) {
            return value instanceof JsonString string ? Optional.of(string.getString()) : Optional.empty();
        }

        @Override
        public JsonValue toJson(String text) {
            return Json.createValue(text);
        }

        @Override
        public String expected() {
            return options.stream().map(Option::value).collect(Collectors.joining("\", \"", "one of \"", "\""));
        }

        @Override
        public String display(String text) {
            return find(text).map(Option::label).orElse(text);
        }

        private Optional<Option> find(String value) {
            return options.stream().filter(option -> option.value().equals(value)).findFirst();
        }
    }

    /** A value of a {@link Choice} and the words for it. */
    record Option(String value, String label) {}

    /** Asked for, or not; initially not. */
    record Toggle(Level level, String key, String label, String hint, Actor actor) implements Preference {

        @Override
        public String initial() {
            return "false";
        }

        @Override
        public Optional<String> complaint(String text) {
            return "true".equals(text) || "false".equals(text) ? Optional.empty() : Optional.of("must be " + expected());
        }

        @Override
        public Optional<String> fromJson(JsonValue value) {
            return switch (value.getValueType()) {
                case TRUE -> Optional.of("true");
                case FALSE -> Optional.of("false");
                default -> Optional.empty();
            };
        }

        @Override
        public JsonValue toJson(String text) {
            return "true".equals(text) ? JsonValue.TRUE : JsonValue.FALSE;
        }

        @Override
        public String expected() {
            return "true or false";
        }

        @Override
        public String display(String text) {
            return "true".equals(text) ? "Yes" : "No";
        }
    }

    /** A whole number from {@code minimum} to {@code maximum} in steps of {@code step}; initially the minimum. */
    record Range(
            Level level, String key, String label, String hint, Actor actor, int minimum, int maximum, int step, String unit)
            implements Preference {

        @Override
        public String initial() {
            return Integer.toString(minimum);
        }

        @Override
        public Optional<String> complaint(String text) {
            try {
                int number = Integer.parseInt(text);
                boolean fits = number >= minimum && number <= maximum && (number - minimum) % step == 0;
                // Integer.parseInt also takes "+150" and "0150", which are not canonical.
                return fits && Integer.toString(number).equals(text) ? Optional.empty() : Optional.of("must be " + expected());
            } catch (NumberFormatException notANumber) {
                return Optional.of("must be " + expected());
            }
        }

        @Override
        public Optional<String> fromJson(JsonValue value) {
            return value instanceof JsonNumber number && number.isIntegral()
                    ? Optional.of(number.bigIntegerValue().toString())
                    : Optional.empty();
        }

        @Override
        public JsonValue toJson(String text) {
            return Json.createValue(Integer.parseInt(text));
        }

        @Override
        public String expected() {
            return "a whole number from %d to %d in steps of %d".formatted(minimum, maximum, step);
        }

        @Override
        public String display(String text) {
            return text + " " + unit;
        }
    }
}
