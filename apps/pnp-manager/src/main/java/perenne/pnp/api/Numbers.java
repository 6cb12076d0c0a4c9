package perenne.pnp.api;

import perenne.pnp.model.InvalidInput;

/** Numbers in query strings. */
final class Numbers {

    private Numbers() {}

    /** @throws InvalidInput naming the parameter */
    static int within(String parameter, String text, int minimum, int maximum) {
        return (int) within(parameter, text, (long) minimum, (long) maximum);
    }

    /** @throws InvalidInput naming the parameter */
    static long within(String parameter, String text, long minimum, long maximum) {
        try {
            long number = Long.parseLong(text);
            if (number >= minimum && number <= maximum) {
                return number;
            }
        } catch (NumberFormatException notANumber) {
            throw complaint(parameter, minimum, maximum);
        }
        throw complaint(parameter, minimum, maximum);
    }

    private static InvalidInput complaint(String parameter, long minimum, long maximum) {
        return Bodies.invalid(parameter, "must be a whole number from %d to %d".formatted(minimum, maximum));
    }
}
