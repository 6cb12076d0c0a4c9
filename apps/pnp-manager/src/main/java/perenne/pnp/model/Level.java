package perenne.pnp.model;

import java.util.Locale;

/** The three levels on which ISO/IEC 24751-2 (AccessForAll) groups personal needs and preferences. */
public enum Level {
    PRESENTATION("Presentation", "How things look and sound: colours, text, spacing, motion."),
    CONTROL("Control", "How the person operates the device: keyboard, pointer, time."),
    CONTENT("Content", "What is shown in place of, or beside, the original: captions, transcripts, plain words.");

    private final String label;
    private final String purpose;

    Level(String label, String purpose) {
        this.label = label;
        this.purpose = purpose;
    }

    public String label() {
        return label;
    }

    public String purpose() {
        return purpose;
    }

    /** The level's name in addresses, forms and JSON: {@code presentation}, {@code control}, {@code content}. */
    public String key() {
        return name().toLowerCase(Locale.ROOT);
    }
}
